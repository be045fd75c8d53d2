CREATE TABLE `repositories` (
	`id` text PRIMARY KEY NOT NULL,
	`workspace_id` text NOT NULL,
	`full_name` text NOT NULL,
	`clone_url` text NOT NULL,
	`base_branch` text NOT NULL,
	`credential` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`workspace_id`) REFERENCES `workspaces`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `repositories_workspace_full_name` ON `repositories` (`workspace_id`,`full_name`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`workspace_id` text NOT NULL,
	`issue_identifier` text,
	`title` text NOT NULL,
	`url` text,
	`repository_full_name` text,
	`branch` text,
	`phase` text NOT NULL,
	`reason` text NOT NULL,
	`last_outcome` text,
	`turn` integer NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `sessions_updated` ON `sessions` ("updated_at" desc,"id" desc);--> statement-breakpoint
CREATE INDEX `sessions_workspace_updated` ON `sessions` (`workspace_id`,"updated_at" desc,"id" desc);--> statement-breakpoint
CREATE TABLE `workspaces` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`url_key` text NOT NULL,
	`app_user_id` text NOT NULL,
	`access_token` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
