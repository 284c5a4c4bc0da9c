// The operator API describes itself: OpenAPI 3.1 made from the same zod schemas that check the requests.
import swagger from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { HttpServer } from './server.ts';

/** Must be called before the routes it is to describe. */
export async function openApiRoutes(app: HttpServer): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Edgekeep operator API',
        version: '0.1.0',
        description: 'Devices, models, policy and audit of one hub. Send an API token as a bearer token.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}
