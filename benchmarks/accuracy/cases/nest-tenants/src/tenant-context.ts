import { type ContextId, ContextIdFactory, type ContextIdStrategy, type HostComponentInfo } from "@nestjs/core";
import type { Request } from "express";

const tenants = new Map<string, ContextId>();

/** One durable subtree per tenant, as the framework's documentation shows it. */
export class TenantContextStrategy implements ContextIdStrategy {
  attach(contextId: ContextId, request: Request) {
    const tenantId = (request.headers["x-tenant-id"] as string | undefined) ?? "public";
    let subTreeId = tenants.get(tenantId);
    if (subTreeId === undefined) {
      subTreeId = ContextIdFactory.create();
      tenants.set(tenantId, subTreeId);
    }
    const tenantTree = subTreeId;
    return {
      resolve: (info: HostComponentInfo) => (info.isTreeDurable ? tenantTree : contextId),
      payload: { tenantId },
    };
  }
}
