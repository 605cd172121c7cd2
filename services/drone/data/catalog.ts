/** Models and bases: few, read by every plan and rarely changed. Kept in memory for some seconds. */
import type { BaseId, ModelId } from '../../../shared/ids.ts';
import type { Base, DroneModel } from '../contract/index.ts';
import type { Database } from './database.ts';

/** Another process's change is seen at the latest after this. */
const FRESH_FOR_MS = 5_000;

export interface Catalog {
  models: ReadonlyMap<ModelId, DroneModel>;
  bases: ReadonlyMap<BaseId, Base>;
}

export class CatalogCache {
  readonly #database: Database;
  #loaded: { catalog: Catalog; atMs: number } | undefined;
  #loading: Promise<Catalog> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The catalog; read again when it is old, or does not have what is asked for. */
  async get(needed?: { modelId: ModelId; baseId: BaseId }): Promise<Catalog> {
    const loaded = this.#loaded;
    const isFresh = loaded !== undefined && performance.now() - loaded.atMs < FRESH_FOR_MS;
    const hasAll =
      needed === undefined ||
      (loaded !== undefined &&
        loaded.catalog.models.has(needed.modelId) &&
        loaded.catalog.bases.has(needed.baseId));
    if (isFresh && hasAll) return loaded.catalog;
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  /** After a change of our own. */
  forget(): void {
    this.#loaded = undefined;
  }

  async #load(): Promise<Catalog> {
    const atMs = performance.now();
    const [models, bases] = await Promise.all([readModels(this.#database), readBases(this.#database)]);
    const catalog: Catalog = {
      models: new Map(models.map((model) => [model.id, model])),
      bases: new Map(bases.map((base) => [base.id, base])),
    };
    this.#loaded = { catalog, atMs };
    return catalog;
  }
}

export async function readModels(database: Database): Promise<DroneModel[]> {
  const rows = await database.model.findMany({ orderBy: { id: 'asc' } });
  return rows as unknown as DroneModel[];
}

export async function readBases(database: Database): Promise<Base[]> {
  const rows = await database.base.findMany({ orderBy: { id: 'asc' } });
  return rows.map(({ id, name, latitude, longitude, pads }) => ({
    id: id as BaseId,
    name,
    location: { latitude, longitude },
    pads,
  }));
}

export async function writeModel(database: Database, model: DroneModel): Promise<void> {
  const { id, ...figures } = model;
  await database.model.upsert({ where: { id }, create: model, update: figures });
}

export async function writeBase(database: Database, { id, name, location, pads }: Base): Promise<void> {
  const row = { name, ...location, pads };
  await database.base.upsert({ where: { id }, create: { id, ...row }, update: row });
}
