import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/**
 * What the page may load: itself only. Claude's words and repository content are drawn here, so this is the second wall
 * behind the Markdown renderer, which lets no markup and no foreign image through. Not in development, where Vite
 * injects scripts of its own.
 */
const contentSecurityPolicy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      injectTo: 'head-prepend',
      attrs: {
        'http-equiv': 'Content-Security-Policy',
        content: [
          "default-src 'none'",
          "script-src 'self'",
          "style-src 'self'",
          "img-src 'self' data:",
          "connect-src 'self' ws: wss:",
          "base-uri 'none'",
          "form-action 'none'",
        ].join('; '),
      },
    },
  ],
};

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), contentSecurityPolicy],
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What changes seldom is a file of its own, which browsers keep across deploys.
        codeSplitting: { groups: [{ name: 'libraries', test: /node_modules\/(react|react-dom|scheduler|zod)\// }] },
      },
    },
  },
});
