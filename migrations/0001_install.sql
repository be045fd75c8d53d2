CREATE TABLE `audit` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at` integer NOT NULL,
	`actor` text NOT NULL,
	`action` text NOT NULL,
	`workspace_id` text,
	`details` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `audit_at` ON `audit` ("at" desc);--> statement-breakpoint
CREATE TABLE `oauth_states` (
	`state_hash` text PRIMARY KEY NOT NULL,
	`browser_hash` text NOT NULL,
	`verifier` text NOT NULL,
	`redirect_uri` text NOT NULL,
	`callback` text,
	`expires_at` integer NOT NULL,
	`used_at` integer
);
--> statement-breakpoint
CREATE INDEX `oauth_states_expires` ON `oauth_states` (`expires_at`);--> statement-breakpoint
ALTER TABLE `workspaces` ADD `refresh_token` text;--> statement-breakpoint
ALTER TABLE `workspaces` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `workspaces` ADD `status` text DEFAULT 'active' NOT NULL;--> statement-breakpoint
ALTER TABLE `workspaces` ADD `scope` text;--> statement-breakpoint
ALTER TABLE `workspaces` ADD `installed_by` text;--> statement-breakpoint
ALTER TABLE `workspaces` ADD `installed_at` integer;