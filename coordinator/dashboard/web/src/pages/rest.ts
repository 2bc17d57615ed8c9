// What the overview does not need: one chunk, with its looks.
import css from "../styles/rest.css?inline";
import { dress } from "../lib/dress";
import { viewOf } from "../lib/router";
import { curves } from "../job/job";
export { AuditPage } from "./audit";
export { JobPage } from "../job/job";
export { JobsPage } from "./jobs";
export { LoginPage } from "./login";
export { LogsPage } from "./logs";
export { WorkerPage } from "./worker";
export { WorkersPage } from "./workers";

dress(css);
// Fetched while it is asked who looks; who needs it asks again.
if (viewOf(location.pathname).page === "job") curves().catch(() => undefined);
