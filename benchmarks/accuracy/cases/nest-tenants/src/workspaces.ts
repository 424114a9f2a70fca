import { Controller, Get, Inject, Injectable, Param, Scope } from "@nestjs/common";
import { REQUEST } from "@nestjs/core";

@Injectable({ scope: Scope.REQUEST, durable: true })
export class TenantSettings {
  readonly limits: Record<string, number> = {};
  readonly features: string[];

  constructor(@Inject(REQUEST) readonly tenant: { tenantId: string }) {
    for (const name of ["documents", "members", "exports", "uploads"]) {
      this.limits[name] = (tenant.tenantId.length * 97 + name.length * 31) % 500;
    }
    this.features = ["search", "share", "history"].map((feature) => `${tenant.tenantId}:${feature}`);
  }
}

@Controller("workspaces")
export class WorkspacesController {
  constructor(@Inject(TenantSettings) private readonly settings: TenantSettings) {}

  @Get(":slug/summary")
  summary(@Param("slug") slug: string) {
    const { limits, features, tenant } = this.settings;
    return {
      slug,
      tenant: tenant.tenantId,
      features,
      used: Object.entries(limits).map(([name, limit]) => ({ name, limit })),
    };
  }
}
