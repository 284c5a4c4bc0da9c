// The operator API describes itself: OpenAPI 3.1 made from the same zod schemas that check the requests.
import swagger from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { utf8 } from '@edgekeep/core/bytes';
import { type Document, documentOf } from '../../store/document.ts';
import { sendDocument } from '../http/document.ts';
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
  let document: Document | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, async (request, reply) => {
    document ??= documentOf(utf8(JSON.stringify(app.swagger())));
    return sendDocument(request, reply, { type: 'application/json; charset=utf-8', document });
  });
}
