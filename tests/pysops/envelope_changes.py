"""Changes to encrypted values and to the MAC: what somebody without a key could do to them."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.pysops.changes import BASE64, ENVELOPE, Change, Weighted, pick, replace


_TYPES: Final = ("str", "int", "float", "bool", "time", "comment", "bytes", "", "STR", "none", "str ")


def _flip(draw: DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text) - 1))
    return text[:at] + draw(st.sampled_from(BASE64)) + text[at + 1 :]


def _drop(draw: DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text) - 1))
    return text[:at] + text[at + draw(st.integers(1, 4)) :]


def _insert(draw: DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(("A", "AAAA", "=", "==", " ", "-", "_", "é", "\\n", "\n", ","))) + text[at:]


def _pad_bits(_: DrawFn, text: str) -> str:
    # Bits of the last character that stand for nothing: Go does not look at them either.
    bare = text.rstrip("=")
    if bare == text or not bare:
        return text
    return bare[:-1] + BASE64[BASE64.find(bare[-1]) | 1] + text[len(bare) :]


def _padding(draw: DrawFn, text: str) -> str:
    return text.rstrip("=") + "=" * draw(st.integers(0, 4))


def _empty(_: DrawFn, text: str) -> str:
    return ""


def _bytes_at_end(draw: DrawFn, text: str) -> str:
    return draw(
        st.sampled_from((text[:-4], text[4:], text + "AAAA", "AAAA" + text, text * 2, text[: len(text) // 8 * 4]))
    )


_BASE64_CHANGES: Final[dict[str, Change]] = {
    "flip": _flip, "drop": _drop, "insert": _insert, "pad bits": _pad_bits, "padding": _padding, "empty": _empty,
    "length": _bytes_at_end,
}  # fmt: skip


def _envelope_field(group: int, change: Change, *, of_mac: bool = False) -> Change:
    def mutate(draw: DrawFn, text: str) -> str:
        found = list(ENVELOPE.finditer(text))
        if not found:
            return text
        match = found[-1] if of_mac else draw(st.sampled_from(found))
        return replace(text, match.span(group), change(draw, match[group]))

    return mutate


def _type(draw: DrawFn, text: str) -> str:
    return draw(st.sampled_from(_TYPES))


def _around_envelope(draw: DrawFn, text: str) -> str:
    match = pick(draw, ENVELOPE, text)
    if match is None:
        return text
    whole = match[0]
    data, iv, tag, kind = match.groups()
    head = "ENC[AES256_GCM,"
    changed = draw(
        st.sampled_from(
            (
                *(
                    whole + "x",
                    f'"{whole} "',
                    f'" {whole}"',
                    whole.lower(),
                    whole * 2,
                    whole[:-1],
                    whole[:20],
                    "x" + whole,
                ),
                *(
                    f"[{whole}]",
                    f'"{whole}\\n"',
                    f"'{whole}]'",
                    f"{whole} ]",
                    whole.replace("256", "128"),
                    f"{{{whole}}}",
                ),
                *(f"{head}iv:{iv},data:{data},tag:{tag},type:{kind}]", f"{head}data:{data},iv:{iv},tag:{tag}]"),
                *(
                    f"{head}data:{data},iv:{iv},tag:{tag},type:{kind},type:str]",
                    f"{whole[:-1]},x:y]",
                    "''",
                    "x",
                    "null",
                ),
                *(f"{head}data:{data + tag[:20]},iv:{iv},tag:{tag[20:]},type:{kind}]", whole.replace(",", ", ")),
                *(
                    f'"{head}data:{data[:2]}\\n{data[2:]},iv:{iv},tag:{tag},type:{kind}]"',
                    f"!!str {whole}",
                    f"&a {whole}",
                ),
                *(f'"{head}data:{data},iv:{iv[:3]}\\r\\n{iv[3:]},tag:{tag},type:{kind}]"', f"|-\n            {whole}"),
                *(
                    f"{head}data:{data},iv:{iv},tag:{tag},type:{kind}] # note",
                    f'"{head}d\\u0061ta{whole[19:]}"',
                    "5",
                    "true",
                ),
            )
        )
    )
    return replace(text, match.span(), changed)


def _exchange_envelopes(draw: DrawFn, text: str) -> str:
    first, second = pick(draw, ENVELOPE, text), pick(draw, ENVELOPE, text)
    if first is None or second is None or first.start() >= second.start():
        return text
    group = draw(st.integers(0, 4))
    if draw(st.booleans()):
        return replace(text, second.span(group), first[group])
    return replace(replace(text, second.span(group), first[group]), first.span(group), second[group])


ENVELOPE_CHANGES: Final[tuple[Weighted, ...]] = (
    *((f"data: {name}", 1, _envelope_field(1, change)) for name, change in _BASE64_CHANGES.items()),
    *((f"iv: {name}", 1, _envelope_field(2, change)) for name, change in _BASE64_CHANGES.items()),
    *((f"tag: {name}", 1, _envelope_field(3, change)) for name, change in _BASE64_CHANGES.items()),
    *((f"mac: {name}", 1, _envelope_field(1, change, of_mac=True)) for name, change in _BASE64_CHANGES.items()),
    *((f"mac tag: {name}", 1, _envelope_field(3, change, of_mac=True)) for name, change in _BASE64_CHANGES.items()),
    ("type", 3, _envelope_field(4, _type)),
    ("mac type", 1, _envelope_field(4, _type, of_mac=True)),
    ("around an envelope", 5, _around_envelope),
    ("envelopes exchanged", 3, _exchange_envelopes),
)
