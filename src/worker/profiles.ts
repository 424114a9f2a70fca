/**
 * Runs on the agent's worker thread. Owns when a profile file is written, what is in it, and which old ones go.
 */
import type { AgentFolder } from "../export/folder";
import { ProfileBuilder, profileName } from "../export/pprof-file";
import { profileSpacingMillis, profilesToThin } from "../export/profile-retention";
import type { LiveSamples } from "./live-samples";

export interface ProfileOptions {
  readonly horizonMillis: number;
  readonly processId: number;
  readonly startTimeMillis: number;
  /** One line each, such as `service.name=shop`. */
  readonly comments: readonly string[];
}

export class Profiles {
  private readonly spacingMillis: number;
  private writtenMillis = Number.NEGATIVE_INFINITY;
  private hasLeakProfile = false;
  droppedProfiles = 0;

  constructor(
    private readonly folder: AgentFolder | null,
    private readonly options: ProfileOptions,
  ) {
    this.spacingMillis = profileSpacingMillis(options.horizonMillis);
  }

  /**
   * Writes when it is time, and at once at the life's first `leak`.
   * @param lives the live samples of every thread; the first is the one whose interval the file states.
   */
  offer(lives: readonly LiveSamples[], nowMillis: number, foundLeak: boolean): void {
    const isFirstLeak = foundLeak && !this.hasLeakProfile;
    if (!isFirstLeak && nowMillis - this.writtenMillis < this.spacingMillis) return;
    if (lives.every((life) => life.size === 0)) return;
    this.hasLeakProfile ||= foundLeak;
    this.writtenMillis = nowMillis;
    this.write(lives, nowMillis);
  }

  private write(lives: readonly LiveSamples[], nowMillis: number): void {
    if (this.folder === null || !this.folder.open()) {
      this.droppedProfiles++;
      return;
    }
    const builder = new ProfileBuilder();
    for (const life of lives) {
      life.forEach((node, kind, route, size) => {
        builder.add(node, kind, route, size, life.intervalBytes, { id: life.thread, name: life.threadName });
      });
    }
    const times = {
      timeMillis: nowMillis,
      durationMillis: Math.max(0, nowMillis - this.options.startTimeMillis),
      intervalBytes: lives[0]?.intervalBytes ?? 1,
    };
    const bytes = builder.encode(times, this.options.comments);
    if (this.folder.write(profileName(nowMillis, this.options.processId), bytes) !== "written") this.droppedProfiles++;
    this.thin(nowMillis);
  }

  private thin(nowMillis: number): void {
    const profiles = this.folder?.files().filter((file) => file.kind === "profile") ?? [];
    for (const name of profilesToThin(profiles, nowMillis, this.spacingMillis)) this.folder?.remove(name);
    this.folder?.sweep();
  }
}
