// Loads the page, and says so if that does not work: a module that did not come is not asked for again by itself.

import('./app.js').catch(() => {
  const loading = document.getElementById('loading');
  const again = document.createElement('button');
  again.className = 'primary';
  again.textContent = 'Load it again';
  again.onclick = () => location.reload();
  loading?.querySelector('p')?.replaceChildren('The page could not be loaded.');
  loading?.append(again);
});
