// Contact with the coordinator, over all that is asked and told.
import { signal } from "./signal";

export const kRetryMs = 4000;
export const contact = signal<{ lost: boolean; at: number; retryAt: number }>({ lost: false, at: Date.now(), retryAt: 0 });

export function heard(): void {
  contact.value = { lost: false, at: Date.now(), retryAt: 0 };
}
export function notHeard(): void {
  contact.value = { lost: true, at: contact.value.at, retryAt: Date.now() + kRetryMs };
}

const waiting = new Set<() => void>();
export function retryNow(): void {
  for (const again of [...waiting]) again();
}
// `again` asks at once when somebody wants that.
export function onRetry(again: () => void): () => void {
  waiting.add(again);
  return () => void waiting.delete(again);
}
