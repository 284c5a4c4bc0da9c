// The manifests in deploy/kubernetes, as `kubectl kustomize` renders them: every field is one of Kubernetes' schemas, and every container is as
// closed as SECURITY.md says. The validators of kubernetes-models ignore a field that they do not know, so each object is wrapped: a field that no
// validator reads is unknown.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const root = join(import.meta.dirname, '..');
const isMissing = spawnSync('kubectl', ['version', '--client']).error !== undefined;
const needsKubectl = { skip: isMissing && process.env['CI'] !== 'true' && 'kubectl is not installed' };

type Validate = ((value: unknown) => boolean) & { readonly errors?: unknown };
const validatorModule = z.object({ validate: z.custom<Validate>((value) => typeof value === 'function') });
const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
type KubernetesObject = z.infer<typeof objectSchema>;

function render(folder: string): readonly KubernetesObject[] {
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', join(root, folder)], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return parseAllDocuments(stdout).map((document) => objectSchema.parse(document.toJS()));
}

/** The validator of an object, by the name that its kind has in the API's own schema. */
async function validatorOf({ apiVersion, kind }: KubernetesObject): Promise<Validate> {
  const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  const capital = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  const name = `IoK8sApi${capital(group.split('.')[0] ?? '')}${capital(version)}${kind}`;
  const file = join(root, 'node_modules/kubernetes-models/_schemas', `${name}.mjs`);
  return validatorModule.parse(await import(pathToFileURL(file).href)).validate;
}

/** The paths of `value` that nobody reads through the wrapped copy which `use` gets. */
function unread(value: object, use: (wrapped: object) => void): readonly string[] {
  const read = new Set<string>();
  const wrap = (inner: object, path: string): object =>
    new Proxy(inner, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name);
        if (typeof name !== 'string' || !Object.hasOwn(target, name)) return found;
        read.add(`${path}/${name}`);
        return typeof found === 'object' && found !== null ? wrap(found, `${path}/${name}`) : found;
      },
    });
  use(wrap(value, ''));
  const all: string[] = [];
  const walk = (inner: unknown, path: string) => {
    if (typeof inner !== 'object' || inner === null) return;
    for (const [name, each] of Object.entries(inner)) {
      all.push(`${path}/${name}`);
      walk(each, `${path}/${name}`);
    }
  };
  walk(value, '');
  return all.filter((path) => !read.has(path));
}

async function faultsOf(object: KubernetesObject): Promise<readonly string[]> {
  const validate = await validatorOf(object);
  let problems: unknown;
  const unknown = unread(object, (wrapped) => {
    if (!validate(wrapped)) problems = validate.errors;
  });
  const name = `${object.kind} ${object.metadata.name}`;
  return [
    ...unknown.map((path) => `${name}: unknown field ${path}`),
    ...(problems === undefined ? [] : [`${name}: ${JSON.stringify(problems)}`]),
  ];
}

const folders = ['deploy/kubernetes', 'deploy/kubernetes/init'] as const;

for (const folder of folders)
  test(`${folder} renders, and Kubernetes knows every field`, needsKubectl, async () => {
    const objects = render(folder);
    assert.ok(objects.length > 3);
    for (const object of objects) assert.deepEqual(await faultsOf(object), []);
  });

test('a misspelt field, a field in the wrong place and a value of the wrong type are found', needsKubectl, async () => {
  const [object] = render('deploy/kubernetes').filter(({ kind }) => kind === 'StatefulSet');
  assert.ok(object !== undefined);
  const wrong: readonly (readonly [string, (text: string) => string])[] = [
    ['unknown field', (text) => text.replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem')],
    ['unknown field', (text) => text.replace('"replicas":1', '"replicas":1,"hostNetwork":true')],
    ['unknown field', (text) => text.replace('"apiVersion"', '"image":"x","apiVersion"')],
    ['type', (text) => text.replace('"replicas":1', '"replicas":"one"')],
  ];
  for (const [found, change] of wrong) {
    const changed = change(JSON.stringify(object));
    assert.notEqual(changed, JSON.stringify(object));
    const faults = await faultsOf(objectSchema.parse(JSON.parse(changed)));
    assert.match(faults.join('\n'), new RegExp(found));
  }
});

const podSchema = z.looseObject({
  automountServiceAccountToken: z.literal(false),
  hostNetwork: z.undefined().optional(),
  hostPID: z.undefined().optional(),
  hostIPC: z.undefined().optional(),
  securityContext: z.looseObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.literal(10_001),
    seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
  }),
  containers: z
    .array(
      z.looseObject({
        securityContext: z.strictObject({
          allowPrivilegeEscalation: z.literal(false),
          readOnlyRootFilesystem: z.literal(true),
          capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
        }),
      }),
    )
    .min(1),
  initContainers: z.undefined().optional(),
});
const withPod = z.looseObject({ spec: z.looseObject({ template: z.looseObject({ spec: podSchema }) }) });

test(
  'no container is root, writes into its image, has a capability or the token of its service account',
  needsKubectl,
  () => {
    const workloads = folders.flatMap(render).filter(({ kind }) => ['StatefulSet', 'DaemonSet', 'Job'].includes(kind));
    assert.deepEqual(workloads.map(({ kind }) => kind).toSorted(), ['DaemonSet', 'Job', 'StatefulSet']);
    for (const workload of workloads) assert.deepEqual(withPod.safeParse(workload).error?.issues ?? [], []);
  },
);

// As guides have it; its indentation is ours.
const publishedPolicy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: inference-egress
spec:
  podSelector:
    matchLabels:
      app: inference
  policyTypes:
    - Egress
  egress:
    - to:
        - ipBlock:
            cidr: 10.0.0.0/8 # Internal only
      ports:
        - port: 443
`;

test('a published NetworkPolicy for egress is one that Kubernetes knows, and a rule that is misspelt is not', async () => {
  const policy = (text: string) => objectSchema.parse(parseAllDocuments(text)[0]?.toJS());
  assert.deepEqual(await faultsOf(policy(publishedPolicy)), []);
  for (const [word, wrong] of [
    ['ipBlock', 'ipBlocks'],
    ['cidr', 'cidrs'],
    ['- Egress', '- Everything'],
    ['port: 443', 'port: [443]'],
  ] as const)
    assert.notDeepEqual(await faultsOf(policy(publishedPolicy.replace(word, wrong))), [], wrong);
});
