// @vitest-environment node
// The lint that keeps text from becoming markup catches what it is for.
import { ESLint } from "eslint";
import { expect, it } from "vitest";

it("bans markup from text, code from text and storage of secrets", { timeout: 60_000 }, async () => {
  const eslint = new ESLint({ cwd: new URL("..", import.meta.url).pathname });
  for (const code of [
    "export const a = (e: Element) => { e.innerHTML = 'x'; };",
    "export const a = (e: Element) => e.outerHTML;",
    "export const a = (e: Element) => e.insertAdjacentHTML('beforeend', 'x');",
    "export const a = () => localStorage.setItem('token', 'x');",
    "export const a = () => window.localStorage;",
    "export const a = () => eval('1');",
    "export const a = <p dangerouslySetInnerHTML={{ __html: 'x' }} />;",
  ]) {
    const [result] = await eslint.lintText(code, { filePath: "src/planted.tsx" });
    expect(result?.errorCount, code).toBeGreaterThan(0);
  }
});
