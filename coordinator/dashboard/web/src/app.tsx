// Which page an address is, and who may see it: without a session everything is the login page.
import { useEffect } from "preact/hooks";
import { asApiError, ApiError, get } from "./lib/api";
import { signal } from "./lib/signal";
import type { Session } from "./lib/resources";
import { go, place, startRouter, viewOf } from "./lib/router";
import { joinSiblings, session, sessionSecret } from "./lib/session";
import { noteServerTime, setUtc, tick } from "./lib/time";
import { contact } from "./lib/contact";
import { applyTheme, closeMenus, Frame, Title } from "./ui/frame";
import { KeysDialog, onKey } from "./ui/keys";
import { Failure, Waits } from "./ui/states";
import { OverviewPage } from "./pages/overview";
import { lazy, sheet } from "./ui/lazy";
import restSheet from "./styles/rest.css?url";

// Fetched when they are first looked at.
const rest = () => Promise.all([import("./pages/rest"), sheet(restSheet)]).then(([module]) => module);
const AuditPage = lazy(() => rest().then((module) => module.AuditPage));
const JobPage = lazy(() => rest().then((module) => module.JobPage));
const LoginPage = lazy(() => rest().then((module) => module.LoginPage));
const JobsPage = lazy(() => rest().then((module) => module.JobsPage));
const LogsPage = lazy(() => rest().then((module) => module.LogsPage));
const WorkerPage = lazy(() => rest().then((module) => module.WorkerPage));
const WorkersPage = lazy(() => rest().then((module) => module.WorkersPage));

const problem = signal<ApiError | undefined>(undefined);

// Who is asking. A refusal is shown; without a session the login page comes back here.
export async function readSession(): Promise<void> {
  problem.value = undefined;
  try {
    const who = await get<Session>("session");
    noteServerTime(who.now);
    session.value = who;
  } catch (failure) {
    const error = asApiError(failure);
    if (error.status === 401) toLogin();
    else problem.value = error;
  }
}

export function toLogin(): void {
  if (viewOf(location.pathname).page === "login") return;
  const here = location.pathname + location.search + location.hash;
  go("/login" + (here === "/" ? "" : "?next=" + encodeURIComponent(here)));
}

// The clock ticks while there is contact; without it everything that counts stands still.
function startClock(): void {
  setInterval(() => {
    if (contact.value.lost) contact.value = { ...contact.value };
    else tick();
  }, 1000);
}

export async function begin(): Promise<void> {
  applyTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  startRouter();
  startClock();
  if (place.value.query.get("utc") === "1") setUtc(true);
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", closeMenus);
  const { page } = viewOf(location.pathname);
  if (page === "login") return;
  if (page !== "overview") rest().catch(() => undefined); // fetched while it is asked who looks; who needs it asks again
  await joinSiblings(toLogin);
  if (sessionSecret() === null) toLogin();
  else await readSession();
}

function Missing() {
  return (
    <>
      <Title text="Nothing here" />
      <p>There is no page at this address. <a href="/">To the overview</a></p>
    </>
  );
}

function Page() {
  const view = viewOf(place.value.path);
  if (view.page === "login") return <LoginPage />;
  if (problem.value) {
    return <><Title text="Overwinter" /><Failure error={problem.value} again={() => void readSession()} /></>;
  }
  if (!session.value) return <Waits on lines={6} />;
  switch (view.page) {
    // An auditor has nothing to look at but the audit.
    case "overview": return session.value.may.readJobs || !session.value.may.readAudit ? <OverviewPage /> : <AuditPage />;
    case "jobs": return <JobsPage />;
    case "job": return <JobPage key={view.name} name={view.name} />;
    case "logs": return <LogsPage key={view.name} name={view.name} />;
    case "workers": return <WorkersPage />;
    case "worker": return <WorkerPage key={view.name} name={view.name} />;
    case "audit": return <AuditPage />;
    default: return <Missing />;
  }
}

export function App() {
  const lost = session.value === undefined && sessionSecret() === null;
  useEffect(() => {
    if (lost) toLogin();
  }, [lost]);
  return <><Frame><Page /></Frame><KeysDialog /></>;
}
