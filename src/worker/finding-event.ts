/** Pure. Owns the form of a verdict's transition as an OTLP log event: name, severity, attributes; the finding is the body. */
import type { Finding, VerdictName } from "../model/finding";
import {
  ATTRIBUTE_FINDING_ID,
  ATTRIBUTE_IMPACT,
  ATTRIBUTE_PREVIOUS_VERDICT,
  ATTRIBUTE_SITE_ID,
  ATTRIBUTE_VERDICT,
} from "./metric-names";
import { routeAttributes } from "./route-attributes";
import type { LogRecord } from "./sdk-modules";

export const FINDING_EVENT = "leak_agent.finding";

/** OpenTelemetry's severity numbers. Only alarms are warnings: what a backend alerts on must be worth waking somebody. */
const SEVERITIES: Readonly<Record<VerdictName, readonly [number: number, text: string]>> = {
  urgent: [17, "ERROR"],
  leak: [13, "WARN"],
  saturating: [9, "INFO"],
  watch: [9, "INFO"],
  retracted: [9, "INFO"],
  acknowledged: [9, "INFO"],
  inconclusive: [5, "DEBUG"],
};

export function findingEvent(finding: Finding): LogRecord {
  const [severityNumber, severityText] = SEVERITIES[finding.verdict];
  return {
    eventName: FINDING_EVENT,
    timestamp: Date.parse(finding.time),
    severityNumber,
    severityText,
    body: finding,
    attributes: {
      ...routeAttributes(finding.route, finding.route.kind),
      [ATTRIBUTE_SITE_ID]: finding.site.id,
      [ATTRIBUTE_FINDING_ID]: finding.id,
      [ATTRIBUTE_VERDICT]: finding.verdict,
      ...(finding.previousVerdict === null ? {} : { [ATTRIBUTE_PREVIOUS_VERDICT]: finding.previousVerdict }),
      [ATTRIBUTE_IMPACT]: finding.impact,
    },
  };
}
