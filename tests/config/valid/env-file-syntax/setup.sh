mkdir config
chmod 640 settings.env
