// Getting in: a code from the address's fragment, or a pasted token or login line. Neither stays in a
// field, an address or a store.
import { useEffect, useRef, useState } from "preact/hooks";
import { go, place, safeNext, viewOf } from "../lib/router";
import { credentialOf, joinSiblings, logIn, sessionSecret, takeCode, type Refusal } from "../lib/session";
import { readSession } from "../lib/who";
import { Title } from "../ui/frame";

async function enter(credential: { token: string } | { code: string }): Promise<void> {
  await logIn(credential);
  await arrive();
}

// Once: another tab's secret and a login of this one may both come in.
async function arrive(): Promise<void> {
  const next = safeNext(place.value.query.get("next"));
  await readSession();
  if (viewOf(location.pathname).page === "login") go(next);
}

export function LoginPage() {
  const field = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<{ message: string; hint: string } | undefined>();

  const attempt = async (credential: { token: string } | { code: string }): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await enter(credential);
    } catch (failure) {
      const refusal = failure as Partial<Refusal>;
      setProblem(typeof refusal.code === "string" && typeof refusal.message === "string"
        ? { message: refusal.message, hint: refusal.hint ?? "" }
        : { message: "the coordinator does not answer", hint: "" });
      field.current?.focus();
    } finally {
      setBusy(false);
    }
  };

  useEffect(() => {
    let gone = false; // the page was left while other tabs were asked
    const code = takeCode();
    if (code !== undefined) void attempt({ code });
    else void joinSiblings(() => undefined).then(() => {
      if (gone) return;
      if (sessionSecret() !== null) void arrive();
      else field.current?.focus();
    });
    return () => { gone = true; };
  }, []);

  const submit = (event: Event): void => {
    event.preventDefault();
    const text = field.current?.value ?? "";
    if (field.current) field.current.value = "";
    const credential = credentialOf(text);
    if (credential) void attempt(credential);
    else setProblem({ message: "that is neither a token (ow_…) nor a login line (ow1_…)", hint: "" });
  };

  return (
    <div class="login">
      <Title text="Log in" />
      <p>Paste a token, or the line that <code>overwinter tokens create</code> printed. It is sent once and kept nowhere.</p>
      <form onSubmit={submit}>
        <label for="credential">Token or login line</label>
        <input ref={field} id="credential" type="password" autocomplete="off" spellcheck={false} required
          aria-invalid={problem !== undefined} aria-describedby={problem ? "login-problem" : undefined} />
        <button type="submit" class="primary" disabled={busy}>{busy ? "Logging in…" : "Log in"}</button>
      </form>
      {problem && (
        <p id="login-problem" class="failure" role="alert">
          <bdi>{problem.message}</bdi>.{problem.hint !== "" && <> <bdi>{problem.hint}</bdi></>}
        </p>
      )}
    </div>
  );
}
