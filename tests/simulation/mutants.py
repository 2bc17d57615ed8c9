"""Finds what can be flipped in a C++ source, and rewrites it so that each flip is switched on at run time.

The source is one that clang-format has laid out: a comparison has a space on both sides, a template's bracket has not.
"""

import bisect
import dataclasses
import re

# What the mutated copy includes everywhere. `on` is true for the mutant that OVERWINTER_MUTANT names; in constant
# expressions for none.
HEADER = r"""#pragma once
#include <cstdlib>
namespace mutant {
inline const int kOn = [] {
  const char* text = std::getenv("OVERWINTER_MUTANT");
  return text == nullptr ? 0 : std::atoi(text);
}();
constexpr bool on(int k) {
  if (__builtin_is_constant_evaluated()) return false;
  return k == kOn;
}
// The first number stands for the flip at the border, the second for the opposite.
template <class A, class B>
constexpr bool lt(int border, int opposite, const A& a, const B& b) {
  if (on(border)) return !(b < a);
  return (a < b) != on(opposite);
}
template <class A, class B>
constexpr bool le(int border, int opposite, const A& a, const B& b) {
  if (on(border)) return a < b;
  return (a <= b) != on(opposite);
}
template <class A, class B>
constexpr bool gt(int border, int opposite, const A& a, const B& b) {
  if (on(border)) return !(a < b);
  return (a > b) != on(opposite);
}
template <class A, class B>
constexpr bool ge(int border, int opposite, const A& a, const B& b) {
  if (on(border)) return b < a;
  return (a >= b) != on(opposite);
}
template <class A, class B>
constexpr bool eq(int opposite, const A& a, const B& b) {
  return (a == b) != on(opposite);
}
template <class A, class B>
constexpr bool ne(int opposite, const A& a, const B& b) {
  return (a != b) != on(opposite);
}
// a && b is (asks(k, a) ? b : left_and()): whether b is asked, and else what the left side was. The same for ||.
inline thread_local bool left = false;
template <class A>
constexpr bool asks_and(int k, const A& a) {
  const bool value = static_cast<bool>(a);
  if (__builtin_is_constant_evaluated()) return value;
  left = value;
  return value != on(k);
}
template <class A>
constexpr bool asks_or(int k, const A& a) {
  const bool value = static_cast<bool>(a);
  if (__builtin_is_constant_evaluated()) return !value;
  left = value;
  return value == on(k);
}
constexpr bool left_and() { return __builtin_is_constant_evaluated() ? false : left; }
constexpr bool left_or() { return __builtin_is_constant_evaluated() ? true : left; }
template <class T>
constexpr T min(int k, const T& a, const T& b) {
  return (b < a) != on(k) ? b : a;
}
template <class T>
constexpr T max(int k, const T& a, const T& b) {
  return (a < b) != on(k) ? b : a;
}
}  // namespace mutant
"""

TOKEN = re.compile(r"""
  (?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
 |(?P<text>R"\((?:.|\n)*?\)"|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')
 |(?P<number>\d(?:'?[0-9a-zA-Z.])*)
 |(?P<name>[A-Za-z_]\w*)
 |(?P<punct><=>|->\*|\.\.\.|<<=|>>=|::|->|\+\+|--|&&|\|\||[-+*/%&|^<>=!]=|<<|.)
""", re.X | re.M | re.S)

NAMES = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne", "&&": "and", "||": "or"}
BORDER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
LEVEL = {"||": 1, "&&": 2, "|": 3, "^": 3, "&": 3, "==": 4, "!=": 4, "<": 5, "<=": 5, ">": 5, ">=": 5}
ALWAYS_ENDS = {",", ";", "?", ":", "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
WORDS_END = {"return", "throw", "case", "else", "do"}
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
# A statement that holds one of these is left alone.
LEFT_ALONE = {"constexpr", "static_assert", "template", "enum", "using", "requires", "planted", "operator", "log_info",
              "log_warning", "log_error", "log_debug", "case", "static"}


@dataclasses.dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str
    line: int  # of the operator or constant
    last_line: int  # of all that is rewritten for it
    start: int  # in the source
    was: str
    now: str
    source_line: str
    begin: int = 0  # of the operands
    end: int = 0

    def __str__(self):
        return f"{self.path}:{self.line}: {self.was} -> {self.now}    {self.source_line}"

    def key(self):
        return self.path, self.source_line, f"{self.was} -> {self.now}"


class Source:
    def __init__(self, text):
        self.text = text
        self.tokens = [Token(m.lastgroup, m.group(), m.start(), m.end())
                       for m in TOKEN.finditer(text) if m.lastgroup != "skip"]
        self.partner = {}
        self.statement = []  # the number of each token's statement
        self.lines = [0] + [m.end() for m in re.finditer("\n", text)]
        self._pair()
        self._mark_statements()

    def _pair(self):
        stack = []
        for i, token in enumerate(self.tokens):
            if token.kind != "punct":
                continue
            if token.text in OPEN:
                stack.append(i)
            elif token.text in CLOSE:
                self.partner[i] = stack.pop()
                self.partner[self.partner[i]] = i

    def _mark_statements(self):
        number, words = 0, {}
        for token in self.tokens:
            self.statement.append(number)
            words.setdefault(number, set()).add(token.text)
            if token.kind == "punct" and token.text in (";", "{", "}"):
                number += 1
        self.words = words

    def line_of(self, at):
        return bisect.bisect_right(self.lines, at)

    def left_alone(self, i):
        return bool(self.words[self.statement[i]] & LEFT_ALONE)

    def spaced(self, i):
        token = self.tokens[i]
        return self.text[token.start - 1].isspace() and self.text[token.end:token.end + 1].isspace()

    def ends(self, i, level, to_left):
        """Whether the operand of an operator of this level stops before token i."""
        token = self.tokens[i]
        if token.kind == "name":
            return token.text in WORDS_END
        if token.kind != "punct":
            return False
        if token.text in ALWAYS_ENDS:
            return True
        if token.text not in LEVEL or not self.spaced(i):
            return False
        # Operators of one level group from the left.
        return LEVEL[token.text] < level or (LEVEL[token.text] == level and not to_left)

    def left_edge(self, i, level):
        """The first token of the left operand of the operator at i."""
        at = i - 1
        while at >= 0:
            text = self.tokens[at].text if self.tokens[at].kind == "punct" else ""
            if text in OPEN or self.ends(at, level, True):
                break
            at = self.partner[at] - 1 if text in CLOSE else at - 1
        return at + 1

    def right_edge(self, i, level):
        """The last token of the right operand."""
        at = i + 1
        while at < len(self.tokens):
            text = self.tokens[at].text if self.tokens[at].kind == "punct" else ""
            if text in CLOSE or self.ends(at, level, False):
                break
            at = self.partner[at] + 1 if text in OPEN else at + 1
        return at - 1

    def in_enum(self, i):
        """Whether the innermost braces around token i are those of an enumeration."""
        depth = 0
        for at in range(i - 1, -1, -1):
            text = self.tokens[at].text
            if text == "}":
                depth += 1
            elif text == "{":
                if depth == 0:
                    return "enum" in self.words[self.statement[at]]
                depth -= 1
        return False


def find(path, text):
    source = Source(text)
    out = []
    for i, token in enumerate(source.tokens):
        if source.left_alone(i):
            continue
        if token.kind == "punct" and token.text in NAMES and source.spaced(i):
            level = LEVEL[token.text]
            first, last = source.left_edge(i, level), source.right_edge(i, level)
            if first >= i or last <= i or "..." in (source.tokens[i - 1].text, source.tokens[i + 1].text):
                continue
            for now in (BORDER.get(token.text), OPPOSITE[token.text]):
                if now:
                    out.append(_mutant(source, path, i, now, first, last))
        elif token.kind == "number" and re.fullmatch(r"[01][uUlL]*", token.text) and _is_value(source, i):
            out.append(_mutant(source, path, i, ("1" if token.text[0] == "0" else "0") + token.text[1:], i, i))
        elif token.text in ("min", "max") and [t.text for t in source.tokens[i - 2:i]] == ["std", "::"]:
            opening = _call(source, i)
            if opening:
                was = "std::" + token.text
                now = "std::max" if token.text == "min" else "std::min"
                out.append(_mutant(source, path, i - 2, now, i - 2, source.partner[opening], was))
    return out


def _is_value(source, i):
    before, after = source.tokens[i - 1], source.tokens[i + 1]
    if before.text == "<" and not source.spaced(i - 1):
        return False  # a template's argument
    if before.text == "=" and source.tokens[i - 2].text in (")", "const", "override", "noexcept") and after.text == ";":
        return False  # a pure function
    return not source.in_enum(i)


def _call(source, i):
    """The bracket that opens the arguments of std::min or std::max at i, if it has two."""
    at = i + 1
    if source.tokens[at].text == "<":
        while source.tokens[at].text != "(":
            at += 1
    if source.tokens[at].text != "(" or source.tokens[at + 1].text in ("{", ")"):
        return None
    return at


def _mutant(source, path, i, now, first, last, was=None):
    token = source.tokens[i]
    line = source.line_of(token.start)
    begin, end = source.tokens[first].start, source.tokens[last].end
    source_line = source.text[source.lines[line - 1]:].split("\n", 1)[0].strip()
    return Mutant(path, line, source.line_of(end), token.start, was or token.text, now, source_line, begin, end)


def apply(text, numbered):
    """The source with all of these mutants in it; `numbered`: (number, mutant) of this file."""
    places = {}
    for number, mutant in numbered:
        places.setdefault(mutant.start, []).append((number, mutant))
    # What is put before each position. The wider goes outside: first before, last behind.
    before, behind, instead = {}, {}, {}
    for start, group in places.items():
        mutant = group[0][1]
        numbers = {m.now: n for n, m in group}
        size = mutant.end - mutant.begin
        was = mutant.was
        if was in ("&&", "||"):
            name = NAMES[was]
            head, middle, tail = (f"(mutant::asks_{name}({numbers[OPPOSITE[was]]}, ", ") ? static_cast<bool>(",
                                  f") : mutant::left_{name}())")
        elif was in NAMES:
            flips = [str(numbers.get(BORDER[was], -1))] if was in BORDER else []
            flips.append(str(numbers.get(OPPOSITE[was], -1)))
            head, middle, tail = f"mutant::{NAMES[was]}({', '.join(flips)}, ", ",", ")"
        elif was.startswith("std::"):
            opening = text.index("(", start)
            instead[start] = (start + len(was), "mutant::" + was[5:])
            before.setdefault(opening + 1, []).append((-1, f"{group[0][0]}, "))
            continue
        else:
            instead[start] = (start + len(was), f"(mutant::on({group[0][0]}) ? {mutant.now} : {was})")
            continue
        before.setdefault(mutant.begin, []).append((size, head))
        behind.setdefault(mutant.end, []).append((size, tail))
        instead[start] = (start + len(was), middle)
    return _rewrite(text, before, behind, instead)


def _rewrite(text, before, behind, instead):
    out, at = [], 0
    for position in sorted({*before, *behind, *instead}):
        if position < at:
            raise ValueError("two mutants overlap")
        out.append(text[at:position])
        out += [tail for _, tail in sorted(behind.get(position, []))]
        out += [head for _, head in sorted(before.get(position, []), reverse=True)]
        at = position
        if position in instead:
            at, word = instead[position]
            out.append(word)
    out.append(text[at:])
    return "".join(out)
