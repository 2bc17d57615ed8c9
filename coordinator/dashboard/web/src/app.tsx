// Which page an address is, and who may see it: without a session everything is the login page.
import { useEffect } from "preact/hooks";
import { place, startRouter, viewOf } from "./lib/router";
import { joinSiblings, session, sessionSecret } from "./lib/session";
import { setUtc, tick } from "./lib/time";
import { readSession, toLogin, whoProblem } from "./lib/who";
import { contact } from "./lib/contact";
import { applyTheme, closeMenus, Frame, Title } from "./ui/frame";
import { KeysDialog, onKey } from "./ui/keys";
import { Failure, Waits } from "./ui/states";
import { OverviewPage } from "./pages/overview";
import { lazy } from "./ui/lazy";

// Fetched when they are first looked at.
const rest = () => import("./pages/rest");
const AuditPage = lazy(() => rest().then((module) => module.AuditPage));
const JobPage = lazy(() => rest().then((module) => module.JobPage));
const LoginPage = lazy(() => rest().then((module) => module.LoginPage));
const JobsPage = lazy(() => rest().then((module) => module.JobsPage));
const LogsPage = lazy(() => rest().then((module) => module.LogsPage));
const WorkerPage = lazy(() => rest().then((module) => module.WorkerPage));
const WorkersPage = lazy(() => rest().then((module) => module.WorkersPage));

// The clock ticks while there is contact; without it everything that counts stands still.
function startClock(): void {
  setInterval(() => {
    if (contact.value.lost) contact.value = { ...contact.value };
    else tick();
  }, 1000);
}

// `draw` is called once there is something to draw: at once where this tab has a secret.
export async function begin(draw: () => void): Promise<void> {
  applyTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  startRouter();
  startClock();
  if (place.value.query.get("utc") === "1") setUtc(true);
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", closeMenus);
  const { page } = viewOf(location.pathname);
  if (page === "login") {
    draw();
    return;
  }
  if (page !== "overview") rest().catch(() => undefined); // fetched while it is asked who looks; who needs it asks again
  if (sessionSecret() !== null) draw();
  await joinSiblings(toLogin);
  if (sessionSecret() === null) toLogin();
  draw();
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
  if (whoProblem.value) {
    return <><Title text="Overwinter" /><Failure error={whoProblem.value} again={() => void readSession()} /></>;
  }
  const may = session.value?.may;
  switch (view.page) {
    // An auditor has nothing to look at but the audit.
    case "overview": return !may ? <><Title text="Overview" /><Waits on lines={6} /></> : may.readJobs || !may.readAudit ? <OverviewPage /> : <AuditPage />;
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
