// The resources that the page reads, as proto3 JSON writes them: int64 is text, messages that are not
// set are absent, all else is there.
export interface Money { amountMicros: string; currencyCode: string }

export type JobState =
  "QUEUED" | "STARTING" | "RUNNING" | "STOPPING" | "PAUSED" | "SUCCEEDED" | "FAILED" | "CANCELLED";

export interface Seat {
  worker: string; device: number; attempt: number; number: number; memoryBytes: string;
  memoryPeakBytes: string; memoryUsedBytes: string; threads: number; used?: string; funded?: string;
}
export interface Attempt {
  number: number; reason: string; worker: string; rank?: number; exitCode: number; signal: number;
  step: string; goesOnFromStep: string; endTime?: string;
}
export interface Progress {
  unitsDone: string; unitsTotal: string; fraction: number; gflops: number; left?: string; step: string;
  stepsTotal: string; loss?: number | string; validationLoss?: number | string; tokensPerSecond: number;
  samplesPerSecond: number; checkpointStep: string; updateTime?: string; updateInterval?: string;
}
export interface Plan {
  transport: string; workersMin: number; workersMax: number; memoryBytes: string; duration?: string;
  cost?: Money; device: string; warnings: string[]; why: string; train?: { precision: string; activations: string };
}
export interface Cost { charged?: Money; reserved?: Money; cap?: Money; wasted?: Money; gangWait?: Money }
export interface Job {
  name: string; displayName: string; state: JobState | string; stateReason: string;
  labels: Record<string, string>; spec?: Record<string, unknown>; plan?: Plan; cost?: Cost;
  progress?: Progress; attempt: number; createTime?: string; startTime?: string; endTime?: string;
  submitter: string; priority: string; seats: Seat[]; workerCount: number; resumesByItself: boolean;
  attempts: Attempt[]; memoryPeakBytes: string;
}
// The answer to an action, or to what it would do.
export interface Changed { effects: string[]; job?: Job }
export interface JobList { jobs: Job[]; nextPageToken: string; totalSize: string; totalSizeCapped: boolean; event: string }

export interface Device {
  kind: string; model: string; memoryBytes: string; threads: number; gflopsFp32: number; gflopsFp64: number;
}
export interface DeviceUse { memoryReservedBytes: string; memoryUsedBytes: string; threadsReserved: number; seats: number }
export interface Worker {
  name: string; id: string; state: string; stateReason: string; hostId: string; hostName: string;
  version: string; devices: Device[]; uses: DeviceUse[]; labels: Record<string, string>; projects: string[];
  spot: boolean; pricePerHour?: Money; joinTime?: string; silent?: string; workersOnHost: number;
  peerAddress: string; network: string; noExec: string; memoryLimit: string; busyFraction: number; losses: number;
}
export interface WorkerList { workers: Worker[] }

export interface Summary {
  cluster: string; version: string; now: string; started: string; workersReady: number;
  workersDraining: number; workersLost: number; jobsQueued: number; jobsRunning: number; jobsPaused: number;
  costToday?: Money; costMonth?: Money; diskFull: boolean; jobsWaitingForBudget: number; wasteFractionMonth?: number;
}
export interface Spend {
  from: string; currency: string; machines: boolean; complete: boolean; reserved: string;
  hours: Record<"useful" | "waiting" | "redone" | "idle", string>[];
}
export interface Session {
  name: string; role: string; project: string; now: string; cluster: string; version: string;
  may: { readJobs: boolean; readWorkers: boolean; actOnOwnJobs: boolean; actOnWorkers: boolean; readAllMoney: boolean; readAudit: boolean };
}

export interface AuditEntry {
  number: string; time?: string; actor: string; role: string; action: string; object: string; before: string;
  after: string; outcome: string; reason: string; address: string; repeatedCount: number;
}
export interface AuditList { entries: AuditEntry[]; nextPageToken: string }

export interface RuledOut { what: string; why: string }
export interface Explanation {
  summary: string; workers: RuledOut[]; smallestChange: string; commands: string[]; failure?: Attempt;
  lastLines: string[]; memoryPeakBytes: string; checkpointStep: string; wasted?: Money;
}
export interface Checkpoint {
  name: string; attempt: number; step: string; worldSize: number; loss?: number | string;
  createTime?: string; sizeBytes: string; damage: string;
}
export interface CheckpointList { checkpoints: Checkpoint[] }

export interface TimelineStep { time: string; state: string; attempt: number; reason: string }
export interface TimelineBar {
  worker: string; attempt: number; seat: number; from: string; to: string; open: boolean; charged: string;
}
export interface Timeline { asOf: string; steps: TimelineStep[]; bars: TimelineBar[]; complete: boolean }

export interface SeriesPart { attempt: number; steps: number[]; times: number[]; values: (number | string)[]; smooth?: (number | string)[] }
export interface Series { metric: string; count: string; kept: number; parts: SeriesPart[]; lost: SeriesPart[] }
export interface SeriesList { series: Series[] }

export interface LogLine {
  number: string; attempt: number; rank: number; stream: "OUT" | "ERR" | "SYSTEM"; time: string; text: string;
  cut?: boolean; linesLost?: string; bytesLost?: string;
}
export interface LogBlock { lines: LogLine[]; hasEarlier: boolean; hasLater: boolean; next: string }

export const lastPart = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
export const projectOf = (name: string): string => name.split("/")[1] ?? "";
