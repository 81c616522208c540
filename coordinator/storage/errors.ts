/** The store cannot be opened, and trying again changes nothing: the message says what to do. */
export class StorageOpenError extends Error {
  override readonly name: string = 'StorageOpenError';
}

/** Another process owns the storage directory. */
export class StorageInUse extends StorageOpenError {
  override readonly name = 'StorageInUse';
  readonly directory: string;
  /** Process that owns it, on this machine or in the container that `message` names. */
  readonly pid: number;
  /** Where that process serves, when it said so. */
  readonly address: string | null;

  constructor(message: string, owner: { directory: string; pid: number; address: string | null }) {
    super(message);
    this.directory = owner.directory;
    this.pid = owner.pid;
    this.address = owner.address;
  }
}
