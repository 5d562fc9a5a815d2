/**
 * admin: the HTTP side of the server: health, metrics, and an API to look at and change what the
 * broker holds. It speaks for no protocol: what protocols list comes from their own rows.
 */
export { ADMIN_ROUTES, Admin } from './admin.ts';
export type {
  AdminCheck,
  AdminCheckStatus,
  AdminContext,
  AdminListener,
  AdminProtocol,
  AdminRemote,
  AdminStorage,
} from './admin-context.ts';
export { ADMIN_OPTIONS } from './admin-options.ts';
export { renderMetrics } from './metrics-text.ts';
