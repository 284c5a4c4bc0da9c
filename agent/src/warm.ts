// Loads what the agent loads and ends: its unit runs it first (deploy/edgekeep-agent.service), so that the agent itself finds every file in the
// compile cache. A process that has to strip types keeps the stripper, some 27 MB of resident memory, for its whole life.
import { enableCompileCache } from 'node:module';

enableCompileCache();
await import('./command-line.ts');
