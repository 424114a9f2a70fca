// An ECMAScript module service: the same life as test/apps/exits/normal-end.js.
import served from "./served.js";

served.whenServed(served.closeServer);
