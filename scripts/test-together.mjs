// Several test files in one process, each as a suite with hooks of its own: what they all load (the schemas, Cedar, the migrations) is
// loaded and compiled once. Arguments: the files.
import { resolve } from 'node:path';
import { describe } from 'node:test';
import { pathToFileURL } from 'node:url';

// Not one after the other: node:test takes a file's tests for all there are as soon as nothing waits.
for (const file of process.argv.slice(2))
  void describe(file, async () => {
    await import(pathToFileURL(resolve(file)).href);
  });
