import { Body, Controller, Get, Injectable, Param, Post } from "@nestjs/common";

const WORDS = "the harbour opens at dawn and the boats leave one by one until only gulls remain".split(" ");

@Injectable()
export class DocumentStore {
  async read(id: string) {
    await new Promise((resolve) => setImmediate(resolve));
    const length = 200 + ((id.length * 37) % 150);
    const text = Array.from({ length }, (_, i) => WORDS[(i * 7 + id.length) % WORDS.length]).join(" ");
    return { id, text, words: length };
  }

  async search(query: string) {
    const documents = await Promise.all(["a", "bb", "ccc", "dddd"].map((id) => this.read(id)));
    return documents
      .map(({ id, text }) => ({ id, hits: text.split(query).length - 1 }))
      .sort((a, b) => b.hits - a.hits);
  }
}

@Controller()
export class DocumentsController {
  constructor(private readonly store: DocumentStore) {}

  @Get("documents/:id")
  read(@Param("id") id: string) {
    return this.store.read(id);
  }

  @Get("search/:query")
  search(@Param("query") query: string) {
    return this.store.search(query);
  }

  @Post("documents/compare")
  async compare(@Body() body: { left: string; right: string }) {
    const [left, right] = await Promise.all([this.store.read(body.left), this.store.read(body.right)]);
    return { same: left.text === right.text, difference: Math.abs(left.words - right.words) };
  }

  @Get("health")
  health() {
    return { ok: true };
  }
}
