import './without-eval.ts';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import './style/base.css';
import './style/list.css';
import './style/session.css';
import './style/plan.css';
import './style/pull.css';
import './style/rows.css';
import './style/diff.css';
import './style/turns.css';
import './style/flight.css';
import './style/markdown.css';
import './style/find.css';
import './style/changes.css';
import './style/review.css';
import './style/share.css';
import './style/unsent.css';

const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no element with the id "app"');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
