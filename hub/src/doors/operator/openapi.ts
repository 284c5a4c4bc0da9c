// The operator API describes itself: OpenAPI 3.1 made from the same zod schemas that check the requests.
import swagger from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { HttpServer } from '../http/server.ts';

/** Call it before the routes that it describes are registered. */
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
  // Made once: anybody may ask for it.
  let document: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json; charset=utf-8').send(document);
  });
}
