// Builds dist/: widget.js, the pages and their assets. `--watch` builds again whenever a source changes.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const root = new URL("../", import.meta.url);
const dist = new URL("dist/", root);
const watching = process.argv.includes("--watch");
const path = (url) => fileURLToPath(url);

const common = {
  absWorkingDir: path(root),
  bundle: true,
  minify: true,
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none", // the licences of what is bundled stand whole in assets/licenses.txt
  banner: { js: "/* Licences of bundled libraries: /assets/licenses.txt */" },
  logLevel: "warning",
};

/** One file that any page may include: no modules, nothing loaded later, nothing left in its global scope. */
const widget = { ...common, entryPoints: ["src/widget.ts"], format: "iife", outfile: "dist/widget.js" };
const pages = {
  ...common,
  entryPoints: { chat: "src/page.ts", admin: "src/admin/index.ts" },
  format: "esm",
  splitting: true,
  chunkNames: "shared-[hash]",
  outdir: "dist/assets",
};

async function copyStatic() {
  await mkdir(new URL("assets/", dist), { recursive: true });
  for (const page of ["index.html", "admin.html"]) {
    await cp(new URL(`static/${page}`, root), new URL(page, dist));
  }
  for (const asset of ["page.css", "icon.svg"]) {
    await cp(new URL(`static/${asset}`, root), new URL(`assets/${asset}`, dist));
  }
}

async function writeLicenses() {
  const texts = [];
  for (const name of ["lit", "lit-html", "lit-element", "@lit/reactive-element", "marked", "dompurify"]) {
    const folder = new URL(`node_modules/${name}/`, root);
    const { version, license } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
    const text = await readFile(new URL("LICENSE", folder), "utf8").catch(() =>
      readFile(new URL("LICENSE.md", folder), "utf8"),
    );
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  await writeFile(new URL("assets/licenses.txt", dist), texts.join(`\n${"=".repeat(80)}\n\n`));
}

async function tellSizes(outputs) {
  for (const file of outputs.toSorted()) {
    const bytes = await readFile(new URL(file, root));
    const sizes = [bytes.length, gzipSync(bytes, { level: 9 }).length].map((size) =>
      (size / 1024).toFixed(1),
    );
    process.stdout.write(
      `${file.padEnd(40)} ${sizes[0].padStart(7)} KB ${sizes[1].padStart(7)} KB gzipped\n`,
    );
  }
}

await rm(dist, { recursive: true, force: true });
await copyStatic();
await writeLicenses();
if (watching) {
  for (const options of [widget, pages]) {
    const context = await esbuild.context(options);
    await context.watch();
  }
} else {
  const built = await Promise.all(
    [widget, pages].map((options) => esbuild.build({ ...options, metafile: true })),
  );
  await tellSizes(built.flatMap(({ metafile }) => Object.keys(metafile.outputs)));
}
