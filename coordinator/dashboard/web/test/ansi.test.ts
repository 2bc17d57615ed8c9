import { describe, expect, it } from "vitest";
import { pieces, plain } from "../src/lib/ansi";
import { visible } from "../src/lib/visible";

describe("a line of a terminal", () => {
  it("turns sixteen colours into classes", () => {
    expect(pieces("a \u001b[31mred\u001b[0m b \u001b[1;92mok\u001b[22;39m.")).toEqual([
      { text: "a ", tone: "" }, { text: "red", tone: "ansi-red" }, { text: " b ", tone: "" },
      { text: "ok", tone: "ansi-bright-green ansi-bold" }, { text: ".", tone: "" },
    ]);
  });
  it("drops every other sequence", () => {
    expect(plain("\u001b[2K\u001b[1A\u001b[?25lloss\u001b]0;title\u0007 1\u001b]8;;http://x\u001b\\2\u001b(B\u001b=3\u001bPq#0\u001b\\4")).toBe("loss 1234");
    expect(plain("\u001b[38;5;196mx\u001b[38;2;1;2;3my\u001b[0m")).toBe("xy");
    expect(plain("cut \u001b[")).not.toContain("\u001b");
  });
  it("lets a carriage return overwrite, so that a progress bar is one line", () => {
    expect(plain(" 10%\r 20%\r 30%")).toBe(" 30%");
    expect(plain("done\r")).toBe("done");
    expect(pieces("\u001b[32m10%\r100%").map((piece) => piece.tone)).toEqual(["ansi-green"]);
  });
  it("prints what hides or turns text by its number", () => {
    expect(visible("a\u202eb\u0000c\u200bd\u2066e\ufefff")).toBe("aU+202EbU+0000cU+200BdU+2066eU+FEFFf");
    expect(visible("tab\tstays, ünïcode 中文 😀 too")).toBe("tab\tstays, ünïcode 中文 😀 too");
    expect(visible("\udb40\udc41")).toBe("U+E0041");
  });
  it("leaves markup as the text that it is", () => {
    expect(plain("<img src=x onerror=alert(1)>")).toBe("<img src=x onerror=alert(1)>");
  });
});
