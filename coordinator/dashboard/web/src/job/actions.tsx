// What can be done with a job. Each is asked about first: the server says what would come of it.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, asApiError, post } from "../lib/api";
import { contact } from "../lib/contact";
import { amount, micros } from "../lib/format";
import { narrow } from "../lib/narrow";
import { lastPart, type Changed, type Job } from "../lib/resources";
import { session } from "../lib/session";
import { isTerminal } from "../lib/state";
import { Name } from "../ui/bits";
import { say } from "../ui/frame";

type Verb = "pause" | "resume" | "cancel" | "update";
interface Choice { verb: Verb; button: string; busy: string; question: string; yes: string; no: string }

const kChoices: Record<Verb, Choice> = {
  pause: { verb: "pause", button: "Pause", busy: "Pausing…", question: "Pause", yes: "Pause job", no: "Keep running" },
  resume: { verb: "resume", button: "Resume", busy: "Resuming…", question: "Resume", yes: "Resume job", no: "Leave paused" },
  cancel: { verb: "cancel", button: "Cancel job…", busy: "Cancelling…", question: "Cancel", yes: "Cancel job", no: "Keep it" },
  update: { verb: "update", button: "Top up…", busy: "Topping up…", question: "Top up", yes: "Set the cap", no: "Leave it" },
};
const kMicros = 1_000_000;
const kTypingMs = 300;

// "0.5" or "0,5" as micro-units; undefined: no amount.
export function microsOf(text: string): bigint | undefined {
  const match = /^\s*(\d{1,12})(?:[.,](\d{0,6}))?\s*$/.exec(text);
  if (!match) return undefined;
  const whole = BigInt(match[1] ?? "0") * BigInt(kMicros) + BigInt((match[2] ?? "").padEnd(6, "0"));
  return whole > 0n ? whole : undefined;
}

function Question({ job, choice, close, done }: { job: Job; choice: Choice; close: () => void; done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [effects, setEffects] = useState<string[] | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const [cap, setCap] = useState(() => amount(micros(job.cost?.cap) * 2n || BigInt(kMicros), 2));
  const wanted = choice.verb === "update" ? microsOf(cap) : undefined;
  const request = choice.verb === "update" ? { cap: { amountMicros: String(wanted ?? 0n) } } : {};
  const path = `${job.name}:${choice.verb}`;

  useEffect(() => { dialog.current?.showModal(); }, []);
  // What would come of it, asked again with each cap that is typed.
  useEffect(() => {
    let current = true;
    setEffects(undefined);
    if (choice.verb === "update" && wanted === undefined) {
      setError(new ApiError(0, "", "a cap is an amount above nothing, such as 0.50"));
      return undefined;
    }
    const timer = setTimeout(() => {
      post<Changed>(path, { ...request, validateOnly: true }).then(
        (answer) => { if (current) { setEffects(answer.effects); setError(undefined); } },
        (problem) => { if (current) setError(asApiError(problem)); },
      );
    }, choice.verb === "update" ? kTypingMs : 0);
    return () => { current = false; clearTimeout(timer); };
  }, [path, cap]);

  const act = async (): Promise<void> => {
    setBusy(true);
    try {
      await post<Changed>(path, request);
      say(`${choice.yes}: asked for.`);
      done();
      dialog.current?.close();
    } catch (problem) {
      setError(asApiError(problem));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="question" aria-labelledby="question" onClose={close}>
      <h2 id="question">{choice.question} <Name>{lastPart(job.name)}</Name>?</h2>
      {choice.verb === "update" && (
        <p><label>New cap, {job.cost?.charged?.currencyCode}
          <input type="text" inputMode="decimal" autocomplete="off" value={cap} onInput={(event) => setCap(event.currentTarget.value)} />
        </label></p>
      )}
      <div class="effects" aria-live="polite">
        {error && <p class="tone-failed"><bdi>{error.message}</bdi>{error.hint !== "" && <span class="muted"> <bdi>{error.hint}</bdi></span>}</p>}
        {!error && effects === undefined && <p class="muted">Asking what would come of it…</p>}
        {!error && effects?.map((effect) => <p key={effect}><bdi>{effect}</bdi></p>)}
      </div>
      <div class="choices">
        <button type="button" autofocus={choice.verb !== "update"} onClick={() => dialog.current?.close()}>{choice.no}</button>
        <button type="button" class={choice.verb === "cancel" ? "danger" : "primary"}
          disabled={busy || error !== undefined || effects === undefined} onClick={() => void act()}>{busy ? "…" : choice.yes}</button>
      </div>
    </dialog>
  );
}

// Which of them make sense in that state.
export function verbsOf(job: Job): Verb[] {
  if (isTerminal(job.state)) return [];
  const cap: Verb[] = job.cost?.cap ? ["update"] : [];
  return [job.state === "PAUSED" ? "resume" : "pause", ...cap, "cancel"];
}

export function Actions({ job }: { job: Job }) {
  const [open, setOpen] = useState<Choice | undefined>(undefined);
  const may = session.value?.may.actOnOwnJobs ?? false;
  const verbs = verbsOf(job);
  // What was asked for shows until the fact arrives.
  const [asked, setAsked] = useState<{ verb: Verb; of: Job } | undefined>(undefined);
  const waits = asked && asked.of.state === job.state && asked.of.cost?.cap?.amountMicros === job.cost?.cap?.amountMicros ? asked.verb : undefined;
  if (verbs.length === 0) return null;
  const button = (verb: Verb) => (
    <button key={verb} type="button" class={verb} disabled={!may || contact.value.lost || waits !== undefined || job.state === "STOPPING"}
      title={may ? undefined : "needs the role submitter, operator or admin"} onClick={() => setOpen(kChoices[verb])}>
      {waits === verb ? kChoices[verb].busy : kChoices[verb].button}
    </button>
  );
  return (
    <div class="actions">
      {verbs.filter((verb) => verb !== "cancel").map(button)}
      {narrow.value ? <details class="menu"><summary aria-label="More">⋯</summary><div class="sheet">{button("cancel")}</div></details> : button("cancel")}
      {!may && <span class="muted">needs the role submitter, operator or admin</span>}
      {open && <Question key={open.verb} job={job} choice={open} close={() => setOpen(undefined)} done={() => setAsked({ verb: open.verb, of: job })} />}
    </div>
  );
}
