// Whether the page is as narrow as a phone: sections fold, and what can be done stands at the thumb.
import { signal } from "./signal";

const phone = matchMedia("(max-width: 640px)");
export const narrow = signal(phone.matches);
phone.addEventListener("change", () => (narrow.value = phone.matches));
