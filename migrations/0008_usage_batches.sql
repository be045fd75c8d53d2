CREATE TABLE `claude_usage_batches` (
	`id` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `claude_usage_batches_at` ON `claude_usage_batches` (`at`);