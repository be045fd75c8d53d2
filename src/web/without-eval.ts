/**
 * The page may not turn text into code (its content security policy), and zod tries whether it may as soon as a schema
 * is made: the browser reports that as an error. Imported before anything that makes schemas.
 */
import * as z from 'zod';

z.config({ jitless: true });
