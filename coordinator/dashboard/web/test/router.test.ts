import { describe, expect, it } from "vitest";
import { ownLink, safeNext, viewOf } from "../src/lib/router";
import { credentialOf, takeCode } from "../src/lib/session";

describe("addresses", () => {
  it("are pages", () => {
    expect(viewOf("/")).toEqual({ page: "overview" });
    expect(viewOf("/jobs")).toEqual({ page: "jobs" });
    expect(viewOf("/projects/demo/jobs/gpt-7k2f9")).toEqual({ page: "job", name: "projects/demo/jobs/gpt-7k2f9" });
    expect(viewOf("/projects/demo/jobs/gpt-7k2f9/logs")).toEqual({ page: "logs", name: "projects/demo/jobs/gpt-7k2f9" });
    expect(viewOf("/audit")).toEqual({ page: "audit" });
    expect(viewOf("/workers/w-01")).toEqual({ page: "worker", name: "w-01" });
    for (const path of ["/money", "/jobs/", "/workers/", "/projects/demo", "/projects/demo/jobs/", "/projects/demo/jobs/a/b", "/projects/demo/workers/a"]) {
      expect(viewOf(path).page, path).toBe("missing");
    }
  });
  it("come back from the login to pages of ours alone", () => {
    expect(safeNext("/projects/demo/jobs/a/logs?q=x#L1")).toBe("/projects/demo/jobs/a/logs?q=x#L1");
    for (const bad of [null, "", "https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/elsewhere"]) {
      expect(safeNext(bad), String(bad)).toBe("/");
    }
  });
  it("are followed in the page when a plain click on a link of ours asks for them", () => {
    document.body.replaceChildren();
    const link = (href: string): HTMLAnchorElement => {
      const a = document.createElement("a");
      a.href = href;
      document.body.append(a);
      return a;
    };
    const click = (target: Element, init: MouseEventInit = {}): string | undefined => {
      let to: string | undefined;
      const seen = (event: Event): void => { to = ownLink(event as MouseEvent); event.preventDefault(); };
      document.addEventListener("click", seen, { once: true });
      target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ...init }));
      return to;
    };
    expect(click(link("/jobs?filter=a"))).toBe("/jobs?filter=a");
    expect(click(link("/jobs"), { ctrlKey: true })).toBeUndefined();
    expect(click(link("/jobs"), { button: 1 })).toBeUndefined();
    expect(click(link("https://elsewhere.example/"))).toBeUndefined();
    expect(click(link("/api/v1/summary"))).toBeUndefined();
  });
});

describe("credentials", () => {
  it("are told apart, and from anything else", () => {
    const token = "ow_" + "a".repeat(43);
    expect(credentialOf(` ${token}\n`)).toEqual({ token });
    expect(credentialOf("ow1_abc-DEF_1")).toEqual({ code: "ow1_abc-DEF_1" });
    expect(credentialOf("ow_short")).toBeUndefined();
    expect(credentialOf("hunter2")).toBeUndefined();
  });
  it("leave the address before they are used", () => {
    history.replaceState(null, "", "/login?next=%2Fjobs#code=ow1_abc%2Bd");
    expect(takeCode()).toBe("ow1_abc+d");
    expect(location.hash).toBe("");
    expect(location.search).toBe("?next=%2Fjobs");
    expect(takeCode()).toBeUndefined();
  });
});
