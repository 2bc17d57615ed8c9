import { defineConfig } from "vitest/config";
import { uplotParts } from "./uplot_parts.ts";
import { plainLoading } from "./vite_loading.ts";

// What is built is committed and compared in CI: no times, no paths, names by content.
export default defineConfig({
  base: "/",
  plugins: [uplotParts(), plainLoading()],
  // One call shape for elements packs better than the automatic runtime's three.
  oxc: { jsx: { runtime: "classic", pragma: "h", pragmaFrag: "Fragment" }, jsxInject: 'import { h, Fragment } from "preact"' },
  build: {
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: true,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    sourcemap: false,
    rollupOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  test: { environment: "happy-dom", env: { TZ: "Europe/Berlin" }, include: ["test/**/*.test.{ts,tsx}"] },
});
