// What a person chose about the page itself. The one place that may use localStorage, and never for
// anything that opens something.
export type Preference = "theme" | "utc" | "keys";

export function preference(name: Preference): string | null {
  try {
    return localStorage.getItem("overwinter." + name);
  } catch {
    return null; // storage is off: the page works without
  }
}

export function setPreference(name: Preference, value: string): void {
  try {
    localStorage.setItem("overwinter." + name, value);
  } catch {
    // as above
  }
}
