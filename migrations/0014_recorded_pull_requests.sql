CREATE TABLE `pull_requests` (
	`host` text NOT NULL,
	`repository_id` integer NOT NULL,
	`number` integer NOT NULL,
	`session_id` text NOT NULL,
	`workspace_id` text NOT NULL,
	`branch` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`host`, `repository_id`, `number`)
);
--> statement-breakpoint
CREATE INDEX `pull_requests_branch` ON `pull_requests` (`host`,`repository_id`,`branch`);--> statement-breakpoint
CREATE INDEX `pull_requests_session` ON `pull_requests` (`session_id`);--> statement-breakpoint
CREATE INDEX `pull_requests_workspace` ON `pull_requests` (`workspace_id`);