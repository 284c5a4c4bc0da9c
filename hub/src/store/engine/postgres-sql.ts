// The SQL of PostgreSQL, where it differs from SQLite's.
import {
  type BinaryOperationNode,
  ColumnNode,
  type OperationNode,
  OperatorNode,
  type OrderByItemNode,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  PrimitiveValueListNode,
  RawNode,
  ReferenceNode,
  ValueListNode,
} from 'kysely';
import type { ClientBase } from 'pg';
import type { SqlOfEngine } from './engine.ts';

/** `nullable` has the names of columns that may be null; it may grow later. */
export function postgresSql(nullable: ReadonlySet<string>): SqlOfEngine {
  return {
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new Compiler(nullable),
  };
}

// `in ()` is no SQL here: no value is in an empty list, as on SQLite. SQLite sorts nulls first, PostgreSQL last. This is added only where a column has nulls: an index does not serve this order.
class Compiler extends PostgresQueryCompiler {
  readonly #nullable: ReadonlySet<string>;

  constructor(nullable: ReadonlySet<string>) {
    super();
    this.#nullable = nullable;
  }

  protected override visitBinaryOperation(node: BinaryOperationNode): void {
    const operator = OperatorNode.is(node.operator) ? node.operator.operator : undefined;
    if ((operator === 'in' || operator === 'not in') && isEmpty(node.rightOperand)) {
      this.append(operator === 'in' ? 'false' : 'true');
      return;
    }
    super.visitBinaryOperation(node);
  }

  protected override visitOrderByItem(node: OrderByItemNode): void {
    super.visitOrderByItem(node);
    const column = columnOf(node);
    if (node.nulls !== undefined || column === undefined || !this.#nullable.has(column)) return;
    this.append(isDescending(node) ? ' nulls last' : ' nulls first');
  }
}

function isEmpty(list: OperationNode): boolean {
  return (PrimitiveValueListNode.is(list) || ValueListNode.is(list)) && list.values.length === 0;
}

function columnOf({ orderBy }: OrderByItemNode): string | undefined {
  const node = ReferenceNode.is(orderBy) ? orderBy.column : orderBy;
  return ColumnNode.is(node) ? node.column.name : undefined;
}

function isDescending({ direction }: OrderByItemNode): boolean {
  return direction !== undefined && RawNode.is(direction) && direction.sqlFragments.join('') === 'desc';
}

/** The names of columns that may be null, of any table. */
export async function nullableColumns(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct column_name as name from information_schema.columns where table_schema = 'public' and is_nullable = 'YES'`,
  );
  return rows.map(({ name }) => name);
}
