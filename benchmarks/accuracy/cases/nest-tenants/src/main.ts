import "reflect-metadata";
import { Module } from "@nestjs/common";
import { ContextIdFactory, NestFactory } from "@nestjs/core";
import { DocumentStore, DocumentsController } from "./documents";
import { TenantContextStrategy } from "./tenant-context";
import { TenantSettings, WorkspacesController } from "./workspaces";

@Module({ controllers: [WorkspacesController, DocumentsController], providers: [TenantSettings, DocumentStore] })
class AppModule {}

async function start() {
  ContextIdFactory.apply(new TenantContextStrategy());
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(Number(process.env.PORT), "127.0.0.1");
}

void start();
