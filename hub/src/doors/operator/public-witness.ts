// Operator API: the public witnesses that the hub asks for cosignatures, and how each of them answers.
import { publicWitnessList, type PublicWitnessView } from '@edgekeep/wire/api/audit';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

interface PublicWitnessRouteDependencies {
  readonly publicWitnesses: { list(): Promise<readonly PublicWitnessView[]> };
  readonly requireScope: RequireScope;
}

export function publicWitnessRoutes(app: HttpServer, dependencies: PublicWitnessRouteDependencies): void {
  const { publicWitnesses, requireScope } = dependencies;

  app.get(
    '/v1/public-witnesses',
    { ...requireScope('devices:read'), schema: { response: { 200: publicWitnessList } } },
    async () => ({ witnesses: [...(await publicWitnesses.list())] }),
  );
}
