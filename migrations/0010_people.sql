CREATE TABLE `sign_in_attempts` (
	`source` text NOT NULL,
	`quarter` integer NOT NULL,
	`refused` integer NOT NULL,
	PRIMARY KEY(`source`, `quarter`)
);
--> statement-breakpoint
CREATE TABLE `sign_ins` (
	`token_hash` text PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`kind` text NOT NULL,
	`person` text NOT NULL,
	`name` text NOT NULL,
	`email` text NOT NULL,
	`memberships` text NOT NULL,
	`browser` text,
	`created_at` integer NOT NULL,
	`seen_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`checked_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `sign_ins_person` ON `sign_ins` (`person`);--> statement-breakpoint
CREATE INDEX `sign_ins_expires` ON `sign_ins` (`expires_at`);--> statement-breakpoint
ALTER TABLE `oauth_states` ADD `purpose` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `team_id` text;--> statement-breakpoint
CREATE INDEX `audit_workspace` ON `audit` (`workspace_id`,"id" desc);