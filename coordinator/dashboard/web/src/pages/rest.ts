// What the overview does not need: one chunk.
export { AuditPage } from "./audit";
export { JobPage } from "../job/job";
export { JobsPage } from "./jobs";
export { LoginPage } from "./login";
export { LogsPage } from "./logs";
export { WorkerPage } from "./worker";
export { WorkersPage } from "./workers";
