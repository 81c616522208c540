import { coordinatorDashboard } from './coordinator.js';
import { fleetDashboard } from './fleet.js';
import type { DashboardSpec } from './model.js';
import { studyDashboard } from './study.js';

export const dashboards: readonly DashboardSpec[] = [studyDashboard, fleetDashboard, coordinatorDashboard];
