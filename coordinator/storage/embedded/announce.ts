import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Where the process that owns a storage directory can be reached. */
export interface Announcement {
  readonly pid: number;
  readonly address: string;
}

const fileIn = (directory: string): string => path.join(directory, 'coordinator.json');

/**
 * Leaves the coordinator's address (host:port) in its storage directory, so that a second process can be told where
 * to turn instead of only that the directory is taken. Call while the store is open; it goes when the store is closed.
 */
export function announceCoordinator(directory: string, address: string): void {
  const file = fileIn(directory);
  const announcement: Announcement = { pid: process.pid, address };
  writeFileSync(`${file}.new`, `${JSON.stringify(announcement)}\n`);
  renameSync(`${file}.new`, file);
}

/** What was announced last; null when nothing readable is there. It is a hint: its process may be gone. */
export function readAnnouncement(directory: string): Announcement | null {
  try {
    const value: unknown = JSON.parse(readFileSync(fileIn(directory), 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('address' in value))
      return null;
    return { pid: Number(value.pid), address: String(value.address) };
  } catch {
    // Absent, unreadable or half written: there is no hint.
    return null;
  }
}

export function removeAnnouncement(directory: string): void {
  if (readAnnouncement(directory)?.pid === process.pid) rmSync(fileIn(directory), { force: true });
}
