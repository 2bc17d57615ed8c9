// The audit: who decided what about access, money and settings, and who was refused. The server
// filters and pages; rows stand still until somebody looks again.
import { useEffect, useRef, useState } from "preact/hooks";
import { count, kNone, plural } from "../lib/format";
import { useLive } from "../lib/live";
import type { AuditEntry, AuditList } from "../lib/resources";
import { place, setQuery } from "../lib/router";
import { session } from "../lib/session";
import { Name, When, Zone } from "../ui/bits";
import { Title } from "../ui/frame";
import { Empty, Shown } from "../ui/states";

const kTypingMs = 400;
const kSize = "50";

// A box whose text is a part of the address. Typing replaces the address, leaving the box does at once.
function Box({ name, label, example }: { name: "actor" | "object"; label: string; example: string }) {
  const value = place.value.query.get(name) ?? "";
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const own = useRef(value);
  useEffect(() => {
    if (value !== own.current) setText(value); // Back, or cleared
    own.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = (typed: string): void => {
    clearTimeout(timer.current);
    own.current = typed.trim();
    setQuery({ [name]: typed.trim(), page: undefined }, "replace");
  };
  return (
    <label class="grow"><span class="visually-hidden">{label}</span>
      <input id={name === "actor" ? "filter" : "object"} type="search" value={text} placeholder={example} spellcheck={false} autocomplete="off"
        onInput={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => apply(typed), kTypingMs);
        }}
        onChange={(event) => apply(event.currentTarget.value)} />
    </label>
  );
}

function Change({ entry }: { entry: AuditEntry }) {
  const told = entry.before !== "" || entry.after !== "";
  return (
    <>
      {entry.before !== "" && <><bdi>{entry.before}</bdi> → </>}
      {told && <bdi>{entry.after === "" ? kNone : entry.after}</bdi>}
      {entry.reason !== "" && <>{told && <br />}<bdi class="muted">{entry.reason}</bdi></>}
    </>
  );
}

function Row({ entry }: { entry: AuditEntry }) {
  const refused = entry.outcome !== "done";
  return (
    <tr>
      <td class="c-submitted"><When at={entry.time} /></td>
      <td class="c-actor">
        {entry.actor === "" ? <span class="muted">nobody known</span> : <Name>{entry.actor}</Name>}
        {entry.role !== "" && <span class="muted"> {entry.role}</span>}
        {entry.address !== "" && <span class="muted"> from <bdi>{entry.address}</bdi></span>}
      </td>
      <td class="c-action"><bdi>{entry.action}</bdi></td>
      <td class="c-object"><bdi>{entry.object}</bdi></td>
      <td class="c-why"><Change entry={entry} /></td>
      <td class="c-outcome">
        {refused ? <strong class="tone-failed">{entry.outcome}</strong> : entry.outcome}
        {entry.repeatedCount > 0 && <span class="muted"> and {count(entry.repeatedCount)} more</span>}
      </td>
    </tr>
  );
}

export function AuditPage() {
  const query = place.value.query;
  const actor = query.get("actor") ?? "";
  const object = query.get("object") ?? "";
  const refusals = query.get("refusals") === "true";
  const page = query.get("page") ?? "";
  const live = useLive<AuditList>("audit", 0, { actor, object, refusals: refusals ? "true" : undefined, pageSize: kSize, pageToken: page });
  // Which pages were turned on the way here, for going back to newer ones.
  const trail = useRef<{ of: string; tokens: string[] }>({ of: "", tokens: [] });
  const listKey = JSON.stringify([actor, object, refusals]);
  if (trail.current.of !== listKey) trail.current = { of: listKey, tokens: [] };
  const turn = (to: string | undefined): void => {
    scrollTo(0, 0);
    setQuery({ page: to }, "push");
  };
  const filtered = actor !== "" || object !== "" || refusals;
  return (
    <>
      <Title text="Audit" />
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <Box name="actor" label="Actor" example="/ actor: tokens/7, workers/w-1" />
        <Box name="object" label="Object" example="object: projects/demo, tokens/7, prices" />
        {session.value?.project === "" && (
          <label><input type="checkbox" checked={refusals} onChange={(event) => setQuery({ refusals: event.currentTarget.checked ? "true" : undefined, page: undefined }, "push")} /> refusals alone</label>
        )}
        <button type="button" onClick={() => { if (page === "") live.again(); else turn(undefined); }}>Look again</button>
      </form>
      <Shown live={live} lines={10}>{(list) => (
        <>
          {list.entries.length === 0 && (
            <Empty>
              {filtered ? <>No entry matches. <button type="button" onClick={() => setQuery({ actor: undefined, object: undefined, refusals: undefined, page: undefined }, "push")}>Clear filter</button></>
                : <>Nothing was decided yet.</>}
            </Empty>
          )}
          {list.entries.length > 0 && (
            <table class="audit">
              <caption class="visually-hidden">Audit, newest first</caption>
              <thead>
                <tr>
                  <th scope="col">Time <Zone /></th><th scope="col">Actor</th><th scope="col">Action</th>
                  <th scope="col">Object</th><th scope="col">Before → after, reason</th><th scope="col">Outcome</th>
                </tr>
              </thead>
              <tbody>{list.entries.map((entry, index) => <Row key={`${entry.number} ${entry.time ?? ""} ${index}`} entry={entry} />)}</tbody>
            </table>
          )}
          <nav class="pages" aria-label="Pages of the list">
            <span class="grow" />
            {page !== "" && <button type="button" onClick={() => turn(undefined)}>« newest</button>}
            {page !== "" && trail.current.tokens.length > 0 && (
              <button type="button" onClick={() => turn(trail.current.tokens.pop() || undefined)}>‹ newer</button>
            )}
            {list.nextPageToken !== "" && (
              <button type="button" onClick={() => { trail.current.tokens.push(page); turn(list.nextPageToken); }}>older ›</button>
            )}
            <span class="muted">{plural(list.entries.length, "entry", "entries")}</span>
          </nav>
        </>
      )}</Shown>
    </>
  );
}
