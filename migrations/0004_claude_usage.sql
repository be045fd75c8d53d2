CREATE TABLE `claude_usage` (
	`day` text NOT NULL,
	`session_id` text NOT NULL,
	`model` text NOT NULL,
	`token` text NOT NULL,
	`workspace_id` text NOT NULL,
	`repository` text NOT NULL,
	`requests` integer NOT NULL,
	`refused` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`cache_read_tokens` integer NOT NULL,
	`cache_creation_tokens` integer NOT NULL,
	`cost_usd` real NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`day`, `session_id`, `model`, `token`)
);
--> statement-breakpoint
CREATE INDEX `claude_usage_session` ON `claude_usage` (`session_id`);--> statement-breakpoint
CREATE TABLE `claude_windows` (
	`token` text PRIMARY KEY NOT NULL,
	`windows` text,
	`problem` text,
	`fingerprint` text,
	`problem_since` integer,
	`tried_at` integer,
	`updated_at` integer NOT NULL
);
