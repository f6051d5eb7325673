import { defineConfig } from "vite";

// One script for each page, by its name: crates/number8-cli/src/pages looks for it, and build.rs embeds all of them.
export default defineConfig({
  // The server says below which path it is.
  base: "./",
  build: {
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      input: { board: "src/board.ts", files: "src/files.ts", terminal: "src/terminal.ts" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
      },
    },
  },
});
