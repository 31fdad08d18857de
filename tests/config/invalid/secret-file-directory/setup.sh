mkdir pw
