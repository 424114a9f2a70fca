import Hapi from "@hapi/hapi";
import { histogramOf, original, palette } from "./lib/images.js";
import { variant } from "./lib/variants.js";

const server = Hapi.server({ port: Number(process.env.PORT), host: "127.0.0.1" });
server.route([
  {
    method: "GET",
    path: "/images/{image}/{width}",
    handler: (request, h) =>
      h.response(variant(request.params.image, Number(request.params.width))).type("image/x-raw"),
  },
  {
    method: "GET",
    path: "/images/{image}",
    handler: (request, h) => h.response(original(request.params.image)).type("image/x-raw"),
  },
  { method: "GET", path: "/histograms/{image}", handler: (request) => histogramOf(request.params.image) },
  { method: "GET", path: "/palettes/{image}", handler: (request) => palette(request.params.image) },
  { method: "GET", path: "/health", handler: () => ({ ok: true }) },
]);
await server.start();
