// Vite's loader of parts looks for style sheets to fetch ahead, which none of ours has: lazy() fetches those.
import type { Plugin } from "vite";

export function plainLoading(): Plugin {
  return {
    name: "plain-loading",
    enforce: "pre",
    load: (id) => (id.includes("vite/preload-helper") ? "export const __vitePreload = (load) => load();" : null),
    // The lists of what would be fetched ahead.
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const part of Object.values(bundle)) {
          if (part.type !== "chunk") continue;
          part.code = part.code.replace(/^const __vite__mapDeps=.*\n/, "").replace(/,__vite__mapDeps\(\[[\d,]*\]\)/g, "");
          if (part.code.includes("__vite__mapDeps")) throw new Error("vite_loading.ts: this vite lists its parts in another way");
        }
      },
    },
  };
}
